// Simulation only: streams the beats of a file, with random pauses if asked, without waking anything else.
//
//   WIDTH, DEPTH  bits of a beat, beats that the memory holds
//   DATA_FILE     $readmemh file, read at time 0
//
// From start_i on, count_i beats leave in order. In stall_percent_i percent of the cycles in which a beat
// could be offered it is not; seed_i picks the cycles. started_o: the first beat has been taken.

`default_nettype none

module hwflow_source #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 64,
    parameter DATA_FILE = "input.mem"
) (
    input  wire              clk_i,
    input  wire              rst_ni,
    input  wire              start_i,
    input  wire  [31:0]      count_i,
    input  wire  [6:0]       stall_percent_i,
    input  wire  [31:0]      seed_i,
    output logic             started_o,
    output logic [WIDTH-1:0] m_tdata,
    output logic             m_tvalid,
    input  wire              m_tready
);

    localparam int INDEX_W = (DEPTH > 1) ? $clog2(DEPTH) : 1;

    logic [WIDTH-1:0] mem [0:DEPTH-1];
    logic [31:0]      index_reg;
    logic             pause;

    initial $readmemh(DATA_FILE, mem);

    hwflow_pause pauses (
        .clk_i(clk_i), .rst_ni(rst_ni), .percent_i(stall_percent_i), .seed_i(seed_i), .pause_o(pause)
    );

    assign started_o = (index_reg != 0) || (m_tvalid && m_tready);

    logic [31:0] next;
    assign next = index_reg + ((m_tvalid && m_tready) ? 32'd1 : 32'd0);

    always_ff @(posedge clk_i) begin
        if (!rst_ni) begin
            index_reg <= '0;
            m_tvalid  <= 1'b0;
            m_tdata   <= '0;
        end else begin
            index_reg <= next;
            if (!m_tvalid || m_tready) begin
                m_tvalid <= start_i && (next < count_i) && !pause;
                m_tdata  <= mem[next[INDEX_W-1:0]];
            end
        end
    end

endmodule

`default_nettype wire
