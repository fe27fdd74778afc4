// End of a pipeline that never waits: catches its results in a FIFO, and says before a result is begun whether there
// will be room for it.
//
//   WIDTH  bits of a result
//   DEPTH  results that may be on their way or wait; with a result every INTERVAL cycles that takes LATENCY cycles from
//          begin_i to valid_i, (LATENCY + 4) / INTERVAL, rounded up, keep the pipeline full
//
// begin_i, only with room_o, announces a result, which comes with valid_i some cycles later; results keep their order.
// room_o comes from a register, and does not depend on m_tready in the same cycle.
//
// Timing: 2 cycles from valid_i to m_tvalid, a result a cycle.

`default_nettype none

module hwflow_catch #(
    parameter int WIDTH = 16,
    parameter int DEPTH = 8
) (
    input  wire              clk_i,
    input  wire              rst_ni,

    input  wire              begin_i,
    output logic             room_o,
    input  wire              valid_i,
    input  wire  [WIDTH-1:0] data_i,

    output logic [WIDTH-1:0] m_tdata,
    output logic             m_tvalid,
    input  wire              m_tready
);

    localparam int COUNT_W = $clog2(DEPTH + 1);

    if (WIDTH < 1 || DEPTH < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_catch: WIDTH (%0d) and DEPTH (%0d) must be positive", WIDTH, DEPTH);
    end

    logic [COUNT_W-1:0] free_reg;
    logic left_reg;  // a result has left

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            free_reg <= COUNT_W'(DEPTH);
            room_o   <= 1'b1;
            left_reg <= 1'b0;
        end else begin
            left_reg <= m_tvalid && m_tready;
            if (begin_i && !left_reg) begin
                free_reg <= free_reg - 1'b1;
                room_o   <= free_reg != COUNT_W'(1);
            end
            if (left_reg && !begin_i) begin
                free_reg <= free_reg + 1'b1;
                room_o   <= 1'b1;
            end
        end
    end

    wire always_ready;
    wire unused_ready = &{1'b0, always_ready};

    hwflow_fifo #(
        .WIDTH (WIDTH),
        .DEPTH (DEPTH)
    ) results (
        .clk_i    (clk_i),
        .rst_ni   (rst_ni),
        .s_tdata  (data_i),
        .s_tvalid (valid_i),
        .s_tready (always_ready),
        .m_tdata  (m_tdata),
        .m_tvalid (m_tvalid),
        .m_tready (m_tready)
    );

endmodule

`default_nettype wire
