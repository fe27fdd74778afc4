// Formal only: every output of hwflow_fork under stream_check. A beat is offered to all outputs at once, and each takes
// it by itself.

`default_nettype none

module proof_fork #(
    parameter int WIDTH = 2,
    parameter int N     = 2
) (
    input wire             clk_i,
    input wire             rst_ni,
    input wire             pick_i,
    input wire [7:0]       pick_lane_i,
    input wire [WIDTH-1:0] s_tdata,
    input wire             s_tvalid,
    input wire [N-1:0]     m_tready
);

    wire [N*WIDTH-1:0] m_tdata;
    wire [N-1:0] m_tvalid;
    wire s_tready;

    hwflow_fork #(.WIDTH(WIDTH), .N(N)) cell_under_proof (
        .clk_i(clk_i), .rst_ni(rst_ni),
        .s_tdata(s_tdata), .s_tvalid(s_tvalid), .s_tready(s_tready),
        .m_tdata(m_tdata), .m_tvalid(m_tvalid), .m_tready(m_tready)
    );

    logic offered_reg;  // the input beat was offered before

    always_ff @(posedge clk_i) offered_reg <= rst_ni && s_tvalid && !s_tready;

    for (genvar i = 0; i < N; i++) begin : gen_output
        stream_check #(.W(WIDTH), .HOLDS(1), .PATIENCE(0), .ALONE(0)) check (
            .clk_i(clk_i), .rst_ni(rst_ni), .pick_i(pick_i), .pick_lane_i(pick_lane_i),
            .in_i(s_tvalid && !offered_reg), .s_tdata(s_tdata), .s_tvalid(s_tvalid), .s_tready(s_tready),
            .m_tdata(m_tdata[i*WIDTH+:WIDTH]), .m_tvalid(m_tvalid[i]), .m_tready(m_tready[i])
        );
    end

    logic [N-1:0] has_reg;  // outputs that took the beat which is still offered
    wire [N-1:0] has = has_reg | (m_tvalid & m_tready);

    always_ff @(posedge clk_i) has_reg <= (rst_ni && s_tvalid && !s_tready) ? has : 0;

    always @(posedge clk_i) begin
        if (rst_ni && offered_reg) takes_what_all_have: assert (s_tready == &has);
    end

endmodule

`default_nettype wire
