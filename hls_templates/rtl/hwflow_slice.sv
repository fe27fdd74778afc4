// Register slice: cuts a stream's data, valid and ready, so that neither side sees the other in the same cycle.
//
//   WIDTH  bits of a beat
//
// It holds two beats: the one that is offered, and the one that came while that had to wait.
//
// Timing: 1 cycle, one beat a cycle; all outputs come from registers.

`default_nettype none

module hwflow_slice #(
    parameter int WIDTH = 16
) (
    input  wire              clk_i,
    input  wire              rst_ni,

    input  wire  [WIDTH-1:0] s_tdata,
    input  wire              s_tvalid,
    output logic             s_tready,

    output logic [WIDTH-1:0] m_tdata,
    output logic             m_tvalid,
    input  wire              m_tready
);

    if (WIDTH < 1) begin : gen_error_size
        initial $fatal(1, "hwflow_slice: WIDTH (%0d) must be positive", WIDTH);
    end

    logic waiting_reg;  // the second beat
    logic [WIDTH-1:0] waiting_data_reg;
    wire moves = !m_tvalid || m_tready;

    assign s_tready = !waiting_reg;

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            m_tvalid    <= 1'b0;
            waiting_reg <= 1'b0;
        end else if (moves) begin
            m_tvalid    <= waiting_reg || s_tvalid;
            waiting_reg <= 1'b0;
        end else if (s_tvalid) begin
            waiting_reg <= 1'b1;
        end
    end

    always_ff @(posedge clk_i) begin
        if (moves) m_tdata <= waiting_reg ? waiting_data_reg : s_tdata;
        if (!waiting_reg) waiting_data_reg <= s_tdata;
    end

endmodule

`default_nettype wire
